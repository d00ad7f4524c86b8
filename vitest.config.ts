import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["{events,rules,stream,gateway,cloud,dashboard,simulator,cli,test}/**/*.test.ts"],
    exclude: ["node_modules/**", "dist/**"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Starts nothing by itself: Kafka comes up when the first test file asks for it.
    globalSetup: ["test/kafka/global-setup.ts"],
    pool: "forks",
  },
});
