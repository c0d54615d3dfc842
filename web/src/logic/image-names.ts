// Names of images as people write them.

/** As the API wants them; without a tag it is `latest`. */
export function pullNames(name: string): { fromImage: string; tag: string } {
  if (name.includes('@')) return { fromImage: name, tag: '' };
  const at = name.lastIndexOf(':');
  return at > name.lastIndexOf('/')
    ? { fromImage: name.slice(0, at), tag: name.slice(at + 1) }
    : { fromImage: name, tag: 'latest' };
}
