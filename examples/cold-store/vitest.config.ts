import { defineConfig } from "vitest/config";

// Hours of a site in some seconds: more than the five that a test has by default on a busy machine.
export default defineConfig({ test: { testTimeout: 60_000 } });
