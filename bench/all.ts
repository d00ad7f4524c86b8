/** Every bench with its own defaults, one after another. */

// Each reads its argument from the command line, where they mean different things.
process.argv.length = 2;

await import("./acks.ts");
console.log();
await import("./drain.ts");
console.log();
await import("./log-away.ts");
