import { defineConfig } from "vitest/config";

export default defineConfig({
  test: { environment: "jsdom", include: ["tests/js/**/*.test.ts"], testTimeout: 20_000 },
});
