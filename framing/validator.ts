/**
 * What a Standard Schema returns: the message, possibly changed by the schema,
 * or what is wrong with it.
 *
 * @typeParam T The message.
 */
export type StandardResult<T> =
  | { readonly value: T; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] };

/** One thing that is wrong with a message. */
export interface StandardIssue {
  /** What is wrong. */
  readonly message: string;
  /** Where in the message: keys from the outside to the inside. */
  readonly path?:
    | readonly (PropertyKey | { readonly key: PropertyKey })[]
    | undefined;
}

/**
 * The part of the Standard Schema interface that is used here. Schemas of Zod,
 * Valibot, ArkType and others have it.
 *
 * @see {@link https://standardschema.dev | Standard Schema}
 *
 * @typeParam T The messages that the schema lets through.
 */
export interface StandardSchema<T> {
  /** The interface's members. */
  readonly "~standard": {
    /** The version of the interface. */
    readonly version: 1;
    /** The schema library's name. */
    readonly vendor: string;
    /** Checks a value. */
    readonly validate: (
      value: unknown,
    ) => StandardResult<T> | Promise<StandardResult<T>>;
    /** Types for inference only. */
    readonly types?:
      | { readonly input: unknown; readonly output: T }
      | undefined;
  };
}

/**
 * Decides whether a message may pass: a predicate, or a Standard Schema. Either
 * may be async; then messages still pass in order.
 *
 * @typeParam T The messages.
 */
export type Validator<T> =
  | ((message: unknown) => boolean | Promise<boolean>)
  | StandardSchema<T>;

/** A {@linkcode Validator} for each direction of a channel. */
export interface ChannelValidators<In, Out> {
  /** Checks each message that was received and decoded. */
  in?: Validator<In>;
  /** Checks each message before it is encoded. */
  out?: Validator<Out>;
}
