import { join } from "node:path";
import { defineConfig } from "vitest/config";

export default defineConfig({
  // What the examples import by the package's name.
  resolve: {
    alias: { "tidegate/simulator": join(import.meta.dirname, "simulator", "simulator.ts") },
  },
  test: {
    include: [
      "{time,events,rules,stream,gateway,cloud,dashboard,simulator,cli,test,examples}/**/*.test.ts",
    ],
    exclude: ["node_modules/**", "dist/**"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Starts nothing by itself: Kafka comes up when the first test file asks for it.
    globalSetup: ["test/kafka/global-setup.ts"],
    pool: "forks",
  },
});
