// Without --allow-ffi: what each function says.

import {
  connectFifo,
  listenFifo,
  mkfifo,
  openFifo,
  openFifoPair,
  pipeCapacity,
} from "../../pipe/mod.ts";

const path = "/tmp/never-made";
for (
  const act of [
    () => mkfifo(path),
    () => openFifo(path, "read"),
    () => openFifoPair({ readPath: path, writePath: path }),
    () => listenFifo({ path }),
    () => connectFifo({ path }),
    () => pipeCapacity(0),
  ]
) {
  try {
    await act();
    console.log("worked");
  } catch (error) {
    console.log(`${(error as Error).name}: ${(error as Error).message}`);
  }
}
