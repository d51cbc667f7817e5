import { ApiProblem } from "@/shared/api";

/** What was caught, as a problem that can be told. */
export function asProblem(error: unknown): ApiProblem {
  return error instanceof ApiProblem ? error : new ApiProblem(0, "Something went wrong. Please try again.");
}

/** What to say about a problem, where these fields tell their own part of it. */
export function sentenceOf(problem: ApiProblem, fields: readonly string[] = []): string {
  const untold = Object.entries(problem.fields).filter(([name]) => !fields.includes(name));
  return untold.length > 0 ? untold.map(([, detail]) => detail).join(" ") : problem.detail;
}
