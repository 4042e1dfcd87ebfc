// What of two observations of one case is not the same, and how an observation is shown.

/** The values of a name among pairs. */
function valuesOf(pairs, name) {
  return pairs
    .filter(([other]) => other.toLowerCase() === name.toLowerCase())
    .map(([, value]) => value);
}

/** What of a request is compared: where a server does not tell it, it is left out. */
function factsOf(seen, other, vector, i) {
  if (seen === undefined) return undefined;
  const facts = {};
  for (const name of ['method', 'path', 'query', 'target', 'protocol', 'body']) {
    if (seen[name] !== undefined && other?.[name] !== undefined) facts[name] = seen[name];
  }
  const expected = vector.requests[i];
  if (expected?.host !== undefined) facts.host = seen.host;
  for (const { name } of expected?.fields ?? []) facts[name] = valuesOf(seen.fields, name);
  if (seen.trailers !== undefined && other?.trailers !== undefined) {
    facts.trailers = seen.trailers.map(([name, value]) => `${name}: ${value}`);
  }
  return facts;
}

function signature(mine, other, vector) {
  return JSON.stringify([
    mine.answers.map(({ status, seen }, i) => [
      status,
      factsOf(seen, other.answers[i]?.seen, vector, i),
    ]),
    mine.rest,
    mine.ending,
  ]);
}

/** Whether two servers did the same. */
export function isSame(mine, other, vector) {
  return signature(mine, other, vector) === signature(other, mine, vector);
}

function quote(text) {
  const short = text.length > 40 ? `${text.slice(0, 37)}...` : text;
  return JSON.stringify(short)
    .replace(/[\u007f-\uffff]/g, (c) => (c < '\u00a1' ? `\\x${c.charCodeAt(0).toString(16)}` : c))
    .replace(/\\u00([0-9a-f]{2})/g, '\\x$1');
}

function showFact(name, value) {
  return `${name} ${Array.isArray(value) ? value.map(quote).join(', ') || 'none' : quote(value)}`;
}

/** An observation in few words: what is not as in `reference` is named. */
export function show(mine, reference, vector) {
  const answers = mine.answers.map(({ status, seen }, i) => {
    const other = reference.answers[i];
    const facts = factsOf(seen, other?.seen, vector, i);
    const theirs = factsOf(other?.seen, seen, vector, i);
    if (facts === undefined) return String(status);
    if (theirs === undefined) {
      const { method, path, query = '', target } = seen;
      return `${String(status)} for ${quote(method).slice(1, -1)} ${quote(path === undefined ? target : path + query)}`;
    }
    const differing = Object.keys(facts).filter(
      (name) => JSON.stringify(facts[name]) !== JSON.stringify(theirs[name]),
    );
    return [String(status), ...differing.map((name) => showFact(name, facts[name]))].join(', ');
  });
  if (mine.rest !== '') answers.push(`${String(mine.rest.length)} bytes that are no answer`);
  const last = mine.answers.at(-1);
  const isRefusal = last !== undefined && last.status >= 400 && last.seen === undefined;
  const usual = isRefusal ? 'closed' : 'open';
  if (mine.ending === 'waits') answers.push(answers.length === 0 ? 'waits' : 'then waits');
  else if (answers.length === 0) answers.push(`${mine.ending} without an answer`);
  else if (mine.ending !== usual) answers.push(mine.ending);
  return answers.join('; ');
}
