/** The error of a channel whose buffer was taken away under what came. */
export function transferred(): TypeError {
  return new TypeError(
    "Cannot receive: the buffer of a message was transferred, and with it what " +
      "came after the message. Copy messages before you transfer them",
  );
}
