/** The command line cannot be understood; the message says what is wrong with it, and what to do. Ends with exit code 2. */
export class UsageError extends Error {}
