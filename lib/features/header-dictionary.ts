/**
 * Header fields of a request or a response: names are case-insensitive, a name may have several values,
 * iteration follows the wire (each field line by itself, in the order and the spelling of the sender).
 */
export interface HeaderDictionary extends Iterable<readonly [name: string, value: string]> {
  /** The number of field lines. */
  readonly size: number;
  /**
   * The value of a field; several lines are joined with `, ` (RFC 9110 section 5.3; Cookie with `; `).
   * `undefined` where there is none. Set-Cookie cannot be joined: use {@link getAll}.
   */
  get(name: string): string | undefined;
  /** The values of all the lines of a field, in order; empty where there is none. */
  getAll(name: string): readonly string[];
  /** Whether there is a line of that name. */
  has(name: string): boolean;
  /**
   * Replaces all the lines of a name by one, or by one for each value of an array.
   * Throws TypeError with code WH_ERR_INVALID_HEADER_NAME or WH_ERR_INVALID_HEADER_VALUE.
   */
  set(name: string, value: string | number | readonly string[]): void;
  /** Adds a line, keeping those of the same name. Throws as {@link set} does. */
  append(name: string, value: string | number): void;
  /** Removes all the lines of a name; says whether there was one. */
  delete(name: string): boolean;
}
