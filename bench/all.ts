/** Every bench, one after another. */
await import("./acks.ts");
console.log();
await import("./drain.ts");
console.log();
await import("./log-away.ts");
