// Something that the operator can act on: the message says what is wrong and what to do.

export class OperatorError extends Error {
  override readonly name = 'OperatorError';
}
