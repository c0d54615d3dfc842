// Areas for weights: a rectangle taken apart so that each part is about as wide as high ("squarified", Bruls and others, 2000).

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** One box for each weight, in the given order; weights that are not positive get the smallest one that there is. */
export function treemap(weights: readonly number[], { x, y, width, height }: Box): Box[] {
  if (weights.length === 0) return [];
  const positive = weights.filter((weight) => weight > 0);
  const least = positive.length === 0 ? 1 : Math.min(...positive);
  const order = weights
    .map((weight, index) => ({ index, weight: weight > 0 ? weight : least }))
    .sort((a, b) => b.weight - a.weight);
  const total = order.reduce((sum, { weight }) => sum + weight, 0);
  const scale = (width * height) / total;
  const boxes = new Array<Box>(weights.length);
  let free = { x, y, width, height };
  let row: { index: number; area: number }[] = [];
  const flush = (): void => {
    const area = row.reduce((sum, part) => sum + part.area, 0);
    const isWide = free.width >= free.height;
    const side = isWide ? free.height : free.width;
    const depth = side === 0 ? 0 : area / side;
    let at = 0;
    for (const { index, area: own } of row) {
      const length = depth === 0 ? 0 : own / depth;
      boxes[index] = isWide
        ? { x: free.x, y: free.y + at, width: depth, height: length }
        : { x: free.x + at, y: free.y, width: length, height: depth };
      at += length;
    }
    free = isWide
      ? { ...free, x: free.x + depth, width: Math.max(0, free.width - depth) }
      : { ...free, y: free.y + depth, height: Math.max(0, free.height - depth) };
    row = [];
  };
  for (const { index, weight } of order) {
    const next = { index, area: weight * scale };
    const side = Math.min(free.width, free.height);
    if (row.length > 0 && worst([...row, next], side) > worst(row, side)) flush();
    row.push(next);
  }
  flush();
  return boxes;
}

/** The worst of the row's proportions. */
function worst(row: readonly { area: number }[], side: number): number {
  const areas = row.map(({ area }) => area);
  const sum = areas.reduce((total, area) => total + area, 0);
  return Math.max((side ** 2 * Math.max(...areas)) / sum ** 2, sum ** 2 / (side ** 2 * Math.min(...areas)));
}
