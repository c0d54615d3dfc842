// The log of a container: live, searched, by time, wrapped or not; as many lines as the buffer keeps, of which only those exist
// that are seen.

import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { ContainerInspect } from '../../../src/docker/types';
import { chunks, docker, NoAnswer, part, query, request } from '../client';
import { plainText, segments, type Segment } from '../logic/ansi';
import { FrameReader, LineReader } from '../logic/frames';
import { LogBuffer, linesKept, type LogEntry, type LogFilter } from '../logic/log-buffer';
import { counted, nameOf } from '../logic/format';
import { wrapped, type WrappedLines } from '../logic/wrap';
import { Button, Empty, Failure, save, SearchBox } from '../parts/ui';
import { isLive, messageOf } from '../store';

const lineHeight = 20;
const beyond = 20;
const againMs = 1_500;

export function LogsPart({ inspect }: { inspect: ContainerInspect }) {
  const buffer = useMemo(() => new LogBuffer(), [inspect.Id]);
  const [version, setVersion] = useState(0);
  const [error, setError] = useState('');
  const [isOpen, setOpen] = useState(false);
  const [filter, setFilter] = useState<LogFilter>({ text: '', streams: 'both' });
  const [wrap, setWrap] = useState(false);
  const [times, setTimes] = useState(false);
  const [follows, setFollows] = useState(true);
  const { Id, Config } = inspect;
  const started = inspect.State.StartedAt;

  useEffect(() => {
    if (!isLive.value) return undefined;
    const abort = new AbortController();
    let frame = 0;
    const changed = (): void => {
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        setVersion((before) => before + 1);
      });
    };
    const read = async (): Promise<void> => {
      // what is here stays: from there on
      const known = buffer.lastTime;
      const since = known === '' ? undefined : Math.floor(Date.parse(known) / 1000);
      const parameters = { follow: 1, stdout: 1, stderr: 1, timestamps: 1, tail: linesKept, since };
      const response = await request(docker(`/containers/${part(Id)}/logs${query(parameters)}`), {
        signal: abort.signal,
      });
      setError('');
      setOpen(true);
      const frames = new FrameReader(Config.Tty);
      const lines = { stdout: new LineReader(), stderr: new LineReader() };
      for await (const chunk of chunks(response)) {
        for (const { stream, data } of frames.read(chunk)) {
          for (const line of lines[stream].read(data)) buffer.add(stream, line, known);
        }
        changed();
      }
      for (const stream of ['stdout', 'stderr'] as const)
        for (const line of lines[stream].end()) buffer.add(stream, line, known);
      changed();
    };
    const keepReading = async (): Promise<void> => {
      for (;;) {
        try {
          await read();
          return;
        } catch (problem) {
          if (abort.signal.aborted) return;
          // it comes back
          if (!(problem instanceof NoAnswer)) {
            setError(messageOf(problem));
            return;
          }
          await new Promise((resolve) => setTimeout(resolve, againMs));
        }
      }
    };
    void keepReading();
    return () => {
      abort.abort();
      cancelAnimationFrame(frame);
    };
  }, [Id, started, buffer, isLive.value]);

  useEffect(() => {
    // a long log takes a moment: not at each letter
    const timer = setTimeout(() => {
      buffer.filter = filter;
      setVersion((before) => before + 1);
    }, 120);
    return () => clearTimeout(timer);
  }, [buffer, filter]);

  const download = (): void => {
    const text = buffer.all.map((entry) => `${entry.time === '' ? '' : `${entry.time} `}${entry.text}\n`);
    save(`${nameOf([inspect.Name])}.log`, new Blob(text, { type: 'text/plain' }));
  };
  const isFiltered = buffer.shown.length !== buffer.length;
  return (
    <div class="log-part">
      <div class="tools">
        <SearchBox
          value={filter.text}
          onInput={(text) => setFilter({ ...filter, text })}
          label="Lines with…"
        />
        <select
          aria-label="Streams"
          value={filter.streams}
          onChange={({ currentTarget }) =>
            setFilter({ ...filter, streams: currentTarget.value as LogFilter['streams'] })
          }
        >
          <option value="both">Both streams</option>
          <option value="stdout">stdout</option>
          <option value="stderr">stderr</option>
        </select>
        <TimeField label="From" onChange={(since) => setFilter({ ...filter, since })} />
        <TimeField label="To" onChange={(until) => setFilter({ ...filter, until })} />
        <Toggle label="Wrap" on={wrap} onChange={setWrap} />
        <Toggle label="Times" on={times} onChange={setTimes} />
        <Button icon="download" label="Download" onClick={download} />
      </div>
      {error !== '' && <Failure error={error} />}
      {error === '' && isOpen && buffer.length === 0 && (
        <Empty icon="file" title="Nothing was written yet">
          <p>What the container writes to stdout and stderr shows up here at once.</p>
        </Empty>
      )}
      {error === '' && buffer.length > 0 && (
        <LogLines
          buffer={buffer}
          version={version}
          wrap={wrap}
          times={times}
          mark={filter.text}
          follows={follows}
          onFollow={setFollows}
        />
      )}
      <p class="log-foot muted" aria-live="off">
        {isFiltered ? `${buffer.shown.length.toLocaleString()} of ` : ''}
        {counted(buffer.length, 'line')}
        {buffer.dropped > 0
          ? `, ${buffer.dropped.toLocaleString()} earlier ones are not kept here`
          : buffer.length >= linesKept && ', earlier ones are not asked for'}
        {!follows && (
          <Button kind="quiet" onClick={() => setFollows(true)}>
            Go to the end
          </Button>
        )}
      </p>
    </div>
  );
}

function Toggle({ label, on, onChange }: { label: string; on: boolean; onChange: (on: boolean) => void }) {
  return (
    <button type="button" class="button toggle" aria-pressed={on} onClick={() => onChange(!on)}>
      {label}
    </button>
  );
}

function TimeField({ label, onChange }: { label: string; onChange: (time: number | undefined) => void }) {
  return (
    <label class="time-field">
      <span>{label}</span>
      <input
        type="datetime-local"
        step="1"
        onChange={({ currentTarget }) =>
          onChange(currentTarget.value === '' ? undefined : Date.parse(currentTarget.value))
        }
      />
    </label>
  );
}

interface LinesProps {
  buffer: LogBuffer;
  version: number;
  wrap: boolean;
  times: boolean;
  mark: string;
  follows: boolean;
  onFollow: (follows: boolean) => void;
}

function LogLines({ buffer, version, wrap, times, mark, follows, onFollow }: LinesProps) {
  const box = useRef<HTMLDivElement>(null);
  const measure = useRef<HTMLSpanElement>(null);
  const [view, setView] = useState({ top: 0, height: 600, columns: 120 });
  const { shown } = buffer;
  const prefix = times ? 25 : 0;
  const layout = useRef<WrappedLines | undefined>(undefined);
  const rows = wrap
    ? (layout.current = wrapped(shown, Math.max(20, view.columns - prefix), layout.current))
    : undefined;
  const total = rows === undefined ? shown.length : rows.total;

  useEffect(() => {
    const element = box.current;
    if (element === null) return undefined;
    const look = (): void => {
      const columns = Math.floor((element.clientWidth - 32) / ((measure.current?.offsetWidth ?? 80) / 10));
      setView({ top: element.scrollTop, height: element.clientHeight, columns });
    };
    let before = element.scrollTop;
    const scrolled = (): void => {
      look();
      const isAtEnd = element.scrollTop + element.clientHeight >= element.scrollHeight - lineHeight;
      // lines that come while the end is scrolled to are nobody's wish to stay behind
      if (isAtEnd || element.scrollTop < before) onFollow(isAtEnd);
      before = element.scrollTop;
    };
    const observer = new ResizeObserver(look);
    observer.observe(element);
    element.addEventListener('scroll', scrolled, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener('scroll', scrolled);
    };
  }, []);
  useEffect(() => {
    const element = box.current;
    if (follows && element !== null) element.scrollTop = element.scrollHeight;
  }, [version, follows, wrap, total]);

  const firstRow = Math.max(0, Math.floor(view.top / lineHeight) - beyond);
  const lastRow = Math.ceil((view.top + view.height) / lineHeight) + beyond;
  const first = rows === undefined ? firstRow : rows.lineAt(firstRow);
  const last = Math.min(shown.length, rows === undefined ? lastRow : rows.lineAt(lastRow) + 1);
  const top = (rows === undefined ? first : rows.rowOf(first)) * lineHeight;
  return (
    <div class="log" ref={box} tabIndex={0} role="log" aria-label="Log" aria-live="off">
      <span class="log-measure" ref={measure} aria-hidden="true">
        0123456789
      </span>
      <div style={{ height: `${total * lineHeight + 16}px` }}>
        <div class={wrap ? 'log-lines wraps' : 'log-lines'} style={{ transform: `translateY(${top}px)` }}>
          {shown.slice(first, last).map((entry) => (
            <Line key={entry.number} entry={entry} times={times} mark={mark} />
          ))}
        </div>
      </div>
    </div>
  );
}

function Line({ entry, times, mark }: { entry: LogEntry; times: boolean; mark: string }) {
  return (
    <div class={`line ${entry.stream}`}>
      {times && <time>{localTime(entry.time)}</time>}
      <span>{mark === '' ? segments(entry.text).map(piece) : marked(plainText(entry.text), mark)}</span>
    </div>
  );
}

function piece({ text, classes, style }: Segment, index: number) {
  return classes === '' && style === undefined ? (
    text
  ) : (
    <span key={index} class={classes} style={style}>
      {text}
    </span>
  );
}

function marked(text: string, mark: string) {
  const found: preact.ComponentChild[] = [];
  const [lower, wanted] = [text.toLowerCase(), mark.toLowerCase()];
  let at = 0;
  for (let next = lower.indexOf(wanted); next >= 0 && found.length < 200; next = lower.indexOf(wanted, at)) {
    found.push(text.slice(at, next), <mark key={next}>{text.slice(next, next + mark.length)}</mark>);
    at = next + mark.length;
  }
  return [...found, text.slice(at)];
}

function localTime(text: string): string {
  const date = new Date(text);
  if (Number.isNaN(date.getTime())) return ' '.repeat(23);
  const pad = (value: number, length = 2): string => String(value).padStart(length, '0');
  const day = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
  return `${day} ${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}.${pad(date.getMilliseconds(), 3)}`;
}
