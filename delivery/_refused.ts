import { ProtocolError } from "./delivery_error.ts";

/** Why a greeting got no session, as the client is told. */
export class GreetingRefused extends ProtocolError {
  constructor(readonly refusal: number, readonly reason: string) {
    super(`Cannot greet a client: ${reason}`, { code: "refused" });
  }
}
