import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["{events,rules,stream,gateway,cloud,dashboard,simulator,cli,test}/**/*.test.ts"],
    exclude: ["node_modules/**", "dist/**"],
    testTimeout: 20_000,
    hookTimeout: 60_000,
    pool: "forks",
  },
});
