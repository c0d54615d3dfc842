import { Block } from '../../../../src/cli/terminal/block';
import { cut } from '../../../../src/cli/terminal/live-screen';
import { step } from '../../../../src/cli/terminal/steps';
import { paletteOf, withoutStyle } from '../../../../src/cli/terminal/style';
import { bar, TransferProgress } from '../../../../src/cli/terminal/transfer-progress';

const escape = '\u001b';

class Screen {
  text = '';
  readonly isTTY: boolean;
  readonly columns: number;
  readonly rows: number;

  constructor(isTTY: boolean, columns = 80, rows = 24) {
    this.isTTY = isTTY;
    this.columns = columns;
    this.rows = rows;
  }

  write(text: string): void {
    this.text += text;
  }
}

beforeAll(() => {
  process.env['TERM'] = 'xterm';
  delete process.env['NO_COLOR'];
});

describe('colours', () => {
  it.each([
    ['a terminal', { isTTY: true }, {}, true],
    ['a file', { isTTY: false }, {}, false],
    ['a terminal that can not', { isTTY: true }, { TERM: 'dumb' }, false],
    ['NO_COLOR', { isTTY: true }, { NO_COLOR: '1' }, false],
    ['an empty NO_COLOR', { isTTY: true }, { NO_COLOR: '' }, true],
  ])('on %s', (_where, stream, environment, painted) => {
    expect(paletteOf(stream, environment).good('x') !== 'x').toBe(painted);
  });

  it('have no width', () => {
    const line = paletteOf({ isTTY: true }, {}).bad('abcdef');
    expect(withoutStyle(line)).toBe('abcdef');
    expect(cut(line, 6)).toBe(line);
    expect(cut(line, 3)).toBe('abc');
  });
});

describe('a transfer', () => {
  const lines = [
    { status: 'Pulling from app/web', id: 'latest' },
    { status: 'Pulling fs layer', id: 'aaaa', progressDetail: {} },
    { status: 'Downloading', id: 'aaaa', progressDetail: { current: 500_000, total: 1_000_000 } },
    { status: 'Downloading', id: 'aaaa', progressDetail: { current: 1_000_000, total: 1_000_000 } },
    { status: 'Pull complete', id: 'aaaa', progressDetail: {} },
    { status: 'Digest: sha256:1' },
  ];

  it('tells each step once where nobody looks', () => {
    const out = new Screen(false);
    const progress = new TransferProgress(out);
    for (const line of lines) progress.take(line);
    progress.end();
    expect(out.text).toBe(
      'latest: Pulling from app/web\naaaa: Pulling fs layer\naaaa: Pull complete\nDigest: sha256:1\n',
    );
  });

  it('has a bar for each layer on a terminal, and leaves the last state', () => {
    const out = new Screen(true);
    const progress = new TransferProgress(out);
    for (const line of lines.slice(0, 3)) progress.take(line);
    progress.end();
    expect(withoutStyle(out.text)).toContain(
      'aaaa          Downloading         ━━━━━━━━━━━━────────────  500kB/1MB',
    );
  });

  it('can not drive the terminal, and scrolls nothing away', () => {
    const out = new Screen(true, 80, 5);
    const progress = new TransferProgress(out);
    for (let layer = 0; layer < 9; layer += 1)
      progress.take({
        id: `layer${layer}${escape}[2J`,
        status: 'Waiting',
        progressDetail: { current: 1, total: 2 },
      });
    progress.end();
    expect(out.text).not.toContain(`${escape}[2J`);
    expect(out.text.match(/Waiting/g)).toHaveLength(3);
    expect(withoutStyle(out.text)).toContain('0 of 9 layers done');
  });

  it('has bars within bounds', () => {
    const plain = (text: string): string => text;
    expect([-1, 0.5, 7].map((fraction) => bar(fraction, plain, 4))).toEqual(['────', '━━──', '━━━━']);
  });
});

describe('a block', () => {
  it('is written over, below what is printed', () => {
    const out = new Screen(true);
    const block = new Block(out);
    block.update(['one', 'two']);
    block.print('above');
    block.end({ erase: true });
    expect(out.text).toBe(`above\none\ntwo\n${escape}[2A${escape}[J`);
  });
});

describe('a step', () => {
  it('is marked when it is done, and says nothing to a file', async () => {
    const [screen, file] = [new Screen(true), new Screen(false)];
    await expect(step('making it', () => Promise.resolve(7), screen)).resolves.toBe(7);
    await step('making it', () => Promise.resolve(7), file);
    expect(screen.text).toContain('✓');
    expect(file.text).toBe('');
  });

  it('fails as its work does', async () => {
    const screen = new Screen(true);
    await expect(step('making it', () => Promise.reject(new Error('no')), screen)).rejects.toThrow('no');
    expect(screen.text).toContain('✗');
  });
});
