/** The examples that the server and every other client are tested with too. */
import { readFileSync } from "node:fs";
import path from "node:path";

export const vectors = JSON.parse(
  readFileSync(path.resolve(import.meta.dirname, "../../../../docs/live-vectors.json"), "utf8"),
) as Record<string, unknown>;
