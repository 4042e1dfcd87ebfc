/** Shows the figures that the server sends once a second, and tries its end points. */

const SAMPLES_MAX = 120;
const SAMPLE_INTERVAL = 1_000;

/** The drawing's units; it is stretched to its place. */
const WIDTH = 1_000;
const HEIGHT = 300;

/** The histogram's columns double from here (µs) to there, and what is slower is in the last. */
const FASTEST = 16;
const SLOWEST = 2 ** 21;

const GUST_REQUESTS = 1_000;
const GUST_AT_ONCE = 6;

const byId = (id) => document.getElementById(id);
const show = (id, text) => {
  byId(id).textContent = text;
};
const stillness = matchMedia('(prefers-reduced-motion: reduce)');

// --- the figures ---

let samples = [];

const source = new EventSource('/live');
source.addEventListener('open', () => setState('live', 'Live'));
source.addEventListener('error', () => setState('lost', 'Connection lost, trying again'));
source.addEventListener('history', (event) => {
  samples = JSON.parse(event.data);
  if (samples.length > 0) showSample(samples.at(-1));
});
source.addEventListener('message', (event) => {
  const sample = JSON.parse(event.data);
  samples.push(sample);
  samples = samples.slice(-SAMPLES_MAX);
  showSample(sample);
});

function setState(state, text) {
  byId('state').dataset.state = state;
  show('state', text);
}

function showSample(sample) {
  show('rate', formatCount(Math.round(sample.rate)));
  show('requests', formatCount(sample.requests));
  show('connections', formatCount(sample.connections));
  show('total-connections', `of ${formatCount(sample.totalConnections)} so far`);
  show('cpu-per-request', sample.cpuPerRequest === null ? '–' : formatTime(sample.cpuPerRequest));
  show('cpu', `${Math.round(sample.cpu * 100)} % of a core`);
  show('memory', `${(sample.memory / 2 ** 20).toFixed(0)} MB`);
  show('uptime', formatUptime(sample.uptime));
  drawFlight();
  drawLatency(sample.latency);
}

// --- the line, and the bird at its end ---

function drawFlight() {
  const rates = samples.map((sample) => sample.rate);
  const top = roundUp(Math.max(10, ...rates));
  const step = WIDTH / (SAMPLES_MAX - 1);
  const points = rates.map((rate, i) => {
    const x = WIDTH - (rates.length - 1 - i) * step;
    return `${x.toFixed(1)},${(HEIGHT * (1 - rate / top)).toFixed(1)}`;
  });
  if (points.length === 1) points.unshift(`${WIDTH - step},${HEIGHT}`);
  const first = points[0].split(',')[0];
  byId('line').setAttribute('d', `M${points.join('L')}`);
  byId('air').setAttribute('d', `M${first},${HEIGHT}L${points.join('L')}L${WIDTH},${HEIGHT}Z`);
  if (!stillness.matches) {
    byId('track').animate(
      [{ transform: `translateX(${step}px)` }, { transform: 'translateX(0)' }],
      SAMPLE_INTERVAL,
    );
  }
  const rate = rates.at(-1);
  const bird = byId('bird');
  bird.style.top = `${100 * (1 - rate / top)}%`;
  bird.classList.toggle('beating', rate >= 1);
  show('scale-top', compact.format(top));
  show('scale-half', compact.format(top / 2));
}

/** The next of 10, 20, 50, 100, … */
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= value);
}

// --- the histogram ---

const columns = [];
for (let limit = FASTEST; limit <= SLOWEST; limit *= 2) {
  const bar = document.createElement('i');
  const tick = document.createElement('span');
  if (columns.length % 4 === 0) tick.textContent = formatTime(limit);
  byId('bars').append(bar);
  byId('ticks').append(tick);
  columns.push({ limit, bar });
}

function drawLatency({ counts, bounds }) {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return;
  const sums = columns.map(() => 0);
  counts.forEach((count, i) => {
    const bound = bounds[i] ?? Infinity;
    const column = columns.findIndex(({ limit }) => bound <= limit);
    sums[column < 0 ? columns.length - 1 : column] += count;
  });
  const most = Math.max(...sums);
  sums.forEach((sum, i) => {
    const { bar, limit } = columns[i];
    bar.style.height = sum === 0 ? '0' : `max(2px, ${(100 * sum) / most}%)`;
    const side = i === columns.length - 1 ? 'more' : `under ${formatTime(limit)}`;
    bar.title = `${formatCount(sum)} answers: ${side}`;
  });
  const half = formatTime(percentile(counts, bounds, total, 0.5));
  const most99 = formatTime(percentile(counts, bounds, total, 0.99));
  show('latency', `Half of them under ${half}, 99 in 100 under ${most99}.`);
}

function percentile(counts, bounds, total, share) {
  let sum = 0;
  const at = counts.findIndex((count) => (sum += count) >= total * share);
  return bounds[at] ?? bounds.at(-1);
}

// --- the trials ---

let trial = new AbortController();

for (const button of document.querySelectorAll('button[data-path]')) {
  button.addEventListener('click', () => {
    trial.abort();
    trial = new AbortController();
    void tryEndPoint(button.dataset, trial.signal);
  });
}
for (const input of document.querySelectorAll('.trials input')) {
  input.addEventListener('keydown', (event) => {
    if (event.key === 'Enter') input.parentElement.querySelector('button').click();
  });
}

async function tryEndPoint({ method, path, append, body }, signal) {
  const target = append === undefined ? path : path + encodeURIComponent(byId(append).value);
  const answer = byId('answer');
  const started = performance.now();
  answer.textContent = `${method} ${target}\n`;
  try {
    const response = await fetch(target, {
      method,
      signal,
      ...(body === undefined ? {} : { body: byId(body).value }),
    });
    const took = (performance.now() - started).toFixed(1);
    answer.textContent += `${response.status} ${response.statusText}, after ${took} ms\n`;
    for (const [name, value] of response.headers) answer.textContent += `${name}: ${value}\n`;
    answer.textContent += '\n';
    await readInto(answer, response);
  } catch (error) {
    if (!signal.aborted) answer.textContent += `\n${error.message}`;
  }
}

async function readInto(answer, response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    answer.textContent += value;
    answer.scrollTop = answer.scrollHeight;
  }
}

byId('gust').addEventListener('click', async () => {
  const button = byId('gust');
  button.disabled = true;
  const started = performance.now();
  let left = GUST_REQUESTS;
  let failed = 0;
  const blow = async () => {
    while (left-- > 0) {
      try {
        await (await fetch('/text', { cache: 'no-store' })).text();
      } catch {
        failed++;
      }
    }
  };
  await Promise.all(Array.from({ length: GUST_AT_ONCE }, blow));
  const seconds = ((performance.now() - started) / 1_000).toFixed(2);
  const ending = failed === 0 ? '' : `, ${formatCount(failed)} failed`;
  show('gust-note', `${formatCount(GUST_REQUESTS)} requests in ${seconds} s${ending}`);
  button.disabled = false;
});

// --- words for numbers ---

const compact = new Intl.NumberFormat('en-US', { notation: 'compact' });

function formatCount(number) {
  return number.toLocaleString('en-US', { maximumFractionDigits: 0 });
}

/** A time given in µs. */
function formatTime(time) {
  if (time >= 1e6) return `${shorten(time / 1e6)} s`;
  if (time >= 1e3) return `${shorten(time / 1e3)} ms`;
  return `${shorten(time)} µs`;
}

function shorten(number) {
  return number < 10 ? String(Number(number.toFixed(1))) : number.toFixed(0);
}

function formatUptime(seconds) {
  const whole = Math.floor(seconds);
  const parts = [Math.floor(whole / 3_600), Math.floor(whole / 60) % 60, whole % 60];
  return parts.map((part) => String(part).padStart(2, '0')).join(':');
}
