// Runs what its --allow-run lists, and what it does not.
import { pipeline, PipelineError } from "../../pipe/mod.ts";

console.log(await pipeline(["yes"], ["head", "-1"]).text());
try {
  await pipeline(["sleep", "60"], ["cat"]).with({ timeout: 20 }).text();
} catch (error) {
  console.log(error instanceof PipelineError && error.code);
}
try {
  await pipeline(["yes"], ["ls"]).text();
} catch (error) {
  console.log((error as Error).name);
}
