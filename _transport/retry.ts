// Trying again lives in _async, where what stands above transports finds it.

export { retrying, type RetryOptions } from "../_async/retry.ts";
