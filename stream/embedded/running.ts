/** What the log knows to be running, to stop it when it stops itself. */
export interface Running<T> {
  /** At start. @throws EventLogError `invalid` where another one excludes it */
  add(one: T): void;
  /** At stop. */
  delete(one: T): void;
}
