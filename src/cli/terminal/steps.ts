// Steps of something whose end nobody knows in advance: what goes on, and for how long.

import { Block, type BlockStream } from './block';
import { paletteOf } from './style';

const frames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const frameMs = 120;

/** Shows `text` on a terminal while the work goes on, and with a mark when it is done; elsewhere nothing. Rejects as the work does. */
export async function step<T>(
  text: string,
  work: () => Promise<T>,
  stream: BlockStream = process.stderr,
): Promise<T> {
  const block = new Block(stream);
  if (!block.isShown) return work();
  const { good, bad, faint } = paletteOf(stream);
  const started = Date.now();
  const seconds = (): string => faint(`${((Date.now() - started) / 1000).toFixed(1)} s`);
  let frame = 0;
  const show = (mark: string): void => block.update([`${mark} ${text}  ${seconds()}`]);
  const timer = setInterval(() => show(frames[(frame += 1) % frames.length] ?? ''), frameMs);
  show(frames[0] ?? '');
  try {
    const result = await work();
    show(good('✓'));
    return result;
  } catch (error) {
    show(bad('✗'));
    throw error;
  } finally {
    clearInterval(timer);
    block.end();
  }
}
