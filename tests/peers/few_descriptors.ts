// Makes something at a path with no descriptor left, then with one, and so on.
// Prints what is left in the directory after each that failed, then "done".
//
//   sh -c 'ulimit -n 64; exec deno run -A few_descriptors.ts unix|fifo|mkfifo DIR'
import { listenFifo, mkfifo } from "../../pipe/mod.ts";
import { listenUnix } from "../../socket/mod.ts";

const [kind, directory] = Deno.args;
const path = `${directory}/a`;
const make: Record<string, () => Promise<AsyncDisposable | Disposable>> = {
  unix: () => listenUnix({ path }),
  fifo: () => listenFifo({ path }),
  mkfifo: () => mkfifo(path),
};
// The runtime opens what it needs but once.
await dispose(await make[kind]());

for (let free = 0; free <= 12; free++) {
  const files: Deno.FsFile[] = [];
  try {
    for (;;) files.push(Deno.openSync("/dev/null"));
  } catch { // there are no more
  }
  for (const file of files.splice(0, free)) file.close();
  let made: AsyncDisposable | Disposable | undefined;
  let failure: unknown;
  try {
    made = await make[kind]();
  } catch (error) {
    failure = error;
  }
  for (const file of files) file.close();
  if (made !== undefined) await dispose(made);
  const left = [...Deno.readDirSync(directory)].map(({ name }) => name);
  if (left.length > 0) console.log(free, failure, left);
}
console.log("done");

async function dispose(made: AsyncDisposable | Disposable): Promise<void> {
  if (Symbol.asyncDispose in made) await made[Symbol.asyncDispose]();
  else made[Symbol.dispose]();
}
