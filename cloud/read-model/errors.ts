/** What can go wrong with a read model's store, told by code. */
export const READ_MODEL_ERROR_CODES = [
  /** The directory is open in another process. */
  "in_use",
  /** The store cannot be read or written; where it was open before, it tries again by itself. */
  "storage",
  /** Called before start() or after stop(). */
  "closed",
] as const;
export type ReadModelErrorCode = (typeof READ_MODEL_ERROR_CODES)[number];

export class ReadModelError extends Error {
  readonly code: ReadModelErrorCode;
  constructor(code: ReadModelErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ReadModelError";
    this.code = code;
  }
}
