/** The error of a channel whose buffer was taken away under what came. */
export function transferred(): TypeError {
  return new TypeError(
    "Cannot receive: the buffer of a message was transferred, and with it what " +
      "came after the message. Copy messages before you transfer them",
  );
}

/** The error of a message whose buffer one before it took along. */
export function transferredEarlier(): TypeError {
  return new TypeError(
    "the buffer of an earlier message was transferred, and this one with it. " +
      "Copy messages before you transfer them",
  );
}
