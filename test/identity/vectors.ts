import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const folder = resolve(import.meta.dirname, '../../docs/reference');

/** One chapter of docs/reference/wire.md, from its heading to the next of the same level. */
export function chapter(title: string): string {
  const chapters = readFileSync(join(folder, 'wire.md'), 'utf8').split(/^## /m);
  const found = chapters.find((text) => text.startsWith(`${title}\n`));
  if (found === undefined) throw new Error(`wire.md has no chapter ${title}`);
  return found;
}

/** The example that follows `<!-- vector: name -->` on a page of docs/reference. */
export function vector(name: string): string {
  const found = readdirSync(folder)
    .filter((file) => file.endsWith('.md'))
    .flatMap((file) => [
      ...readFileSync(join(folder, file), 'utf8').matchAll(
        /<!-- vector: ([a-z-]+) -->\n```[a-z]*\n([\s\S]*?)\n```/g,
      ),
    ])
    .filter(([, one]) => one === name)
    .map(([, , text = '']) => text);
  const [text] = found;
  if (text === undefined || found.length > 1) throw new Error(`${found.length} vectors are called ${name}`);
  return text;
}
