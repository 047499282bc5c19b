import { assert, assertEquals } from "@std/assert";
import { Spinner } from "../shm/_spin.ts";

/** Spins until it is time to sleep; the looks, or 0 where it slept at once. */
async function spinInVain(spinner: Spinner): Promise<number> {
  let all = 0;
  for (let looks = spinner.start(); looks > 0; looks = spinner.next()) {
    await spinner.pause();
    all += looks;
  }
  return all;
}

Deno.test("Spinner sleeps at once more and more often while it is in vain", async () => {
  const spinner = new Spinner();
  for (const pause of [1, 3, 7, 15, 31, 31]) {
    assert(await spinInVain(spinner) > 0);
    for (let i = 0; i < pause; i++) assertEquals(spinner.start(), 0);
  }
});

Deno.test("Spinner spins again at once after it was worth it", async () => {
  const spinner = new Spinner();
  await spinInVain(spinner);
  await spinInVain(spinner); // it sleeps at once
  assertEquals(spinner.start(), 1);
  spinner.found();
  assertEquals(spinner.start(), 1);
  await spinInVain(spinner);
  assertEquals([spinner.start(), spinner.start()], [0, 1]);
});

Deno.test("Spinner lets other promises and the event loop go on", async () => {
  let turns = 0, done = false;
  const turn = () => {
    if (done) return;
    turns++;
    setImmediate(turn);
  };
  setImmediate(turn);
  for (let i = 0; i < 1000 && turns === 0; i++) await spinInVain(new Spinner());
  done = true;
  assert(turns > 0);
  const spinner = new Spinner();
  let promises = 0;
  const others = (async () => {
    for (; promises < 5; promises++) await undefined;
  })();
  assertEquals(spinner.start(), 1);
  for (let i = 1; i <= 5; i++) {
    await spinner.pause();
    assertEquals(promises, i);
    assertEquals(spinner.next(), 1);
  }
  await others;
  await new Promise((resolve) => setImmediate(resolve));
});
