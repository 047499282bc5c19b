// What must not grow in a process: memory, descriptors, threads.

interface Sample {
  memory: number;
  descriptors: number;
  threads: number;
}

/** Growth that is no leak: buffers of connections that happen to be open. */
const SLACK: Sample = { memory: 96e6, descriptors: 40, threads: 8 };

/** Samples the vital signs of processes every second, from `/proc`. */
export class Vitals implements Disposable {
  #processes = new Map<
    string,
    { pid: number; first?: Sample; recent: Sample[] }
  >();
  #timer = setInterval(() => this.#sample(), 1000);

  /** Watches a process that has to live to the end. */
  watch(name: string, pid: number): void {
    this.#processes.set(name, { pid, recent: [] });
  }

  /** From now on, nothing may grow. */
  settle(): void {
    for (const process of this.#processes.values()) {
      process.first = calmest(process.recent);
    }
  }

  /** What grew, in words. Ends the watch. */
  growth(): string[] {
    clearInterval(this.#timer);
    const found: string[] = [];
    for (const [name, { first, recent }] of this.#processes) {
      const last = calmest(recent);
      if (first === undefined || last === undefined) continue;
      for (const sign of Object.keys(SLACK) as (keyof Sample)[]) {
        if (last[sign] > first[sign] + SLACK[sign]) {
          found.push(
            `${name}: ${sign} grew from ${first[sign]} to ${last[sign]}`,
          );
        }
      }
    }
    return found;
  }

  /** First and last signs of each process. */
  lines(): string[] {
    return [...this.#processes].map(([name, { first, recent }]) => {
      const show = (sample: Sample | undefined) =>
        sample === undefined
          ? "?"
          : `${(sample.memory / 1e6).toFixed(0)} MB, ` +
            `${sample.descriptors} descriptors, ${sample.threads} threads`;
      return `${name.padEnd(20)}${show(first)}  ->  ${show(calmest(recent))}`;
    });
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #sample(): void {
    for (const process of this.#processes.values()) {
      const sample = read(process.pid);
      if (sample === undefined) continue;
      process.recent.push(sample);
      if (process.recent.length > 10) process.recent.shift();
    }
  }
}

/** The least of each sign: what is left when nothing happens to be open. */
function calmest(samples: readonly Sample[]): Sample | undefined {
  if (samples.length === 0) return undefined;
  const least = (sign: keyof Sample) =>
    Math.min(...samples.map((sample) => sample[sign]));
  return {
    memory: least("memory"),
    descriptors: least("descriptors"),
    threads: least("threads"),
  };
}

function read(pid: number): Sample | undefined {
  try {
    const status = Deno.readTextFileSync(`/proc/${pid}/status`);
    const value = (name: string) =>
      Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? 0);
    return {
      memory: value("VmRSS") * 1024,
      descriptors: [...Deno.readDirSync(`/proc/${pid}/fd`)].length,
      threads: value("Threads"),
    };
  } catch { // gone, or not Linux
    return undefined;
  }
}
