import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';

/** The repository. */
export const root = resolve(import.meta.dirname, '../..');

/** Every TypeScript file below the folders, as paths from the repository with forward slashes. */
export function sourcesOf(...folders: readonly string[]): string[] {
  return folders
    .flatMap((folder) => {
      try {
        return readdirSync(join(root, folder), { recursive: true, withFileTypes: true });
      } catch {
        return [];
      }
    })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .sort();
}

/** A source file's text without comments, so that words in comments count for nothing. */
export function codeOf(path: string): string {
  return readFileSync(join(root, path), 'utf8')
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/(^|[^:'"`])\/\/.*$/gm, '$1');
}

/** One import, export-from or dynamic import. */
export interface Import {
  readonly from: string;
  /** As written. */
  readonly specifier: string;
  /** Path from the repository, for relative ones and for our own package's subpaths. */
  readonly path: string | undefined;
  readonly dynamic: boolean;
  /** Only a type: gone at run time. */
  readonly typeOnly: boolean;
}

const own: Record<string, string> = {
  fealty: 'src/index.ts',
  'fealty/device': 'src/grants/device.ts',
  'fealty/tpm': 'src/tpm/index.ts',
  'fealty/tpm/commands': 'src/tpm/commands.ts',
  'fealty/webcrypto': 'src/tpm/webcrypto/index.ts',
  'fealty/hub': 'src/hub/index.ts',
  'fealty/authority': 'src/authority/index.ts',
  'fealty/simulator': 'simulator/index.ts',
};

/** What a source file imports. */
export function importsOf(path: string): Import[] {
  const code = codeOf(path);
  const found: Import[] = [];
  const add = (specifier: string, dynamic: boolean, typeOnly: boolean) =>
    found.push({
      from: path,
      specifier,
      dynamic,
      typeOnly,
      path: specifier.startsWith('.')
        ? relative(root, resolve(root, dirname(path), specifier))
            .split(sep)
            .join('/')
        : own[specifier],
    });
  for (const [, kind = '', specifier = ''] of code.matchAll(
    /(?:^|\n)\s*(?:import|export)\s+(type\s)?[^;'"]*?from\s+['"]([^'"]+)['"]/g,
  ))
    add(specifier, false, kind !== '');
  for (const [, specifier = ''] of code.matchAll(/(?:^|\n)\s*import\s+['"]([^'"]+)['"]/g))
    add(specifier, false, false);
  for (const [, specifier = ''] of code.matchAll(/\bimport\(\s*['"]([^'"]+)['"]\s*\)/g))
    add(specifier, true, false);
  return found;
}

/** The folder that the layering speaks of: `core`, `cli`, `simulator` … */
export function folderOf(path: string): string {
  const [top = '', second = ''] = path.split('/');
  return top === 'src' && path.split('/').length > 2 ? second : top === 'src' ? 'index' : top;
}
