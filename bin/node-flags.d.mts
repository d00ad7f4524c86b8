export declare function flagsOf(command: string | undefined): readonly string[];
