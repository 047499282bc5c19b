// Certificates for tests, made with openssl when they are first asked for.

import { temporaryDirectory } from "./_tools.ts";

/** A certificate and its key, PEM. */
export interface KeyPair {
  cert: string;
  key: string;
}

/** Two authorities and what the first has signed for `localhost`. */
export interface Certificates {
  ca: string;
  otherCa: string;
  server: KeyPair;
  client: KeyPair;
  /** A client's, signed by the other authority. */
  stranger: KeyPair;
}

let made: Promise<Certificates> | undefined;

/** Makes them once for each run. */
export function certificates(): Promise<Certificates> {
  return made ??= make();
}

async function make(): Promise<Certificates> {
  await using directory = await temporaryDirectory();
  const openssl = async (...args: string[]) => {
    const { success, stderr } = await new Deno.Command("openssl", {
      args,
      cwd: directory.path,
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
  };
  const read = (name: string) => Deno.readTextFile(`${directory.path}/${name}`);
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
  const authority = async (name: string) => {
    await openssl(
      ...["req", "-x509", ...curve, "-nodes", "-days", "2"],
      ...["-subj", `/CN=${name}`, "-keyout", `${name}.key`],
      ...["-out", `${name}.pem`],
    );
    return await read(`${name}.pem`);
  };
  const signed = async (name: string, ca: string): Promise<KeyPair> => {
    await Deno.writeTextFile(
      `${directory.path}/${name}.ext`,
      "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\n" +
        "basicConstraints=CA:FALSE\n",
    );
    await openssl(
      ...["req", "-new", ...curve, "-nodes", "-subj", `/CN=${name}`],
      ...["-keyout", `${name}.key`, "-out", `${name}.csr`],
    );
    await openssl(
      ...["x509", "-req", "-in", `${name}.csr`, "-CA", `${ca}.pem`],
      ...["-CAkey", `${ca}.key`, "-CAcreateserial", "-days", "2"],
      ...["-extfile", `${name}.ext`, "-out", `${name}.pem`],
    );
    return { cert: await read(`${name}.pem`), key: await read(`${name}.key`) };
  };
  const ca = await authority("ca");
  const otherCa = await authority("other");
  return {
    ca,
    otherCa,
    server: await signed("server", "ca"),
    client: await signed("worker-1", "ca"),
    stranger: await signed("stranger", "other"),
  };
}

/** Whether the machine can make them. */
export function hasOpenssl(): boolean {
  try {
    return new Deno.Command("openssl", {
      args: ["version"],
      stdout: "null",
      stderr: "null",
    }).outputSync().success;
  } catch {
    return false;
  }
}
