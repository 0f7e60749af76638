// Why a file was not fetched. Messages are for operators' logs: they name the host and the rule, and never what was answered.

/** A rule forbids the answer or the way to it; asking again would not help. */
export class RefusedFetch extends Error {
  override readonly name = 'RefusedFetch';
}

/** The host says that there is no such file. */
export class NotFound extends Error {
  override readonly name = 'NotFound';
}

/** It could not be had now: no address, no connection, too slow, an error of the server's, or a limit of ours. */
export class FailedFetch extends Error {
  override readonly name = 'FailedFetch';
}
