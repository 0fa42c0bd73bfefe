import { GrantText } from './errors.ts';

/** @internal One token of the text form. */
export type Token =
  | { readonly kind: 'name'; readonly text: string; readonly at: number }
  | { readonly kind: 'number'; readonly value: number; readonly text: string; readonly at: number }
  | { readonly kind: 'string'; readonly value: string; readonly text: string; readonly at: number }
  | { readonly kind: 'sign'; readonly text: string; readonly at: number }
  | { readonly kind: 'end'; readonly text: string; readonly at: number };

const TEXT_MAX = 65_536;
const TOKENS_MAX = 8_192;

/** Each alternative consumes what it matches and never goes back over it: linear. */
const lexeme =
  /(?<space>[ \t\r\n]+)|(?<name>[A-Za-z_][A-Za-z0-9_]*)|(?<number>-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)|(?<sign>&&|\|\||==|<=|>=|[<>!()[\],])|(?<quote>["'])/y;

/** @internal The tokens of a text, ending with `end`. @throws {GrantText} */
export function tokensOf(text: string): readonly Token[] {
  if (text.length > TEXT_MAX) throw new GrantText(0, `is longer than ${TEXT_MAX} characters`);
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    lexeme.lastIndex = at;
    const found = lexeme.exec(text)?.groups;
    if (found === undefined) throw new GrantText(at, 'has a character that means nothing here');
    const { name, number, sign, quote } = found;
    const start = at;
    at = lexeme.lastIndex;
    if (name !== undefined) tokens.push({ kind: 'name', text: name, at: start });
    else if (number !== undefined) {
      const value = Number(number);
      if (!Number.isFinite(value)) throw new GrantText(start, 'has a number that is too large');
      tokens.push({ kind: 'number', value, text: number, at: start });
    } else if (sign !== undefined) tokens.push({ kind: 'sign', text: sign, at: start });
    else if (quote !== undefined) {
      const { value, end } = stringAt(text, at, quote);
      at = end;
      tokens.push({ kind: 'string', value, text: text.slice(start, end), at: start });
    }
    if (tokens.length > TOKENS_MAX) throw new GrantText(start, `has more than ${TOKENS_MAX} words`);
  }
  tokens.push({ kind: 'end', text: 'the end', at: text.length });
  return tokens;
}

const escapes: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  b: '\b',
  f: '\f',
  '\\': '\\',
  '"': '"',
  "'": "'",
  '`': '`',
};

/** The string whose first character after the quote is at `from`. */
function stringAt(
  text: string,
  from: number,
  quote: string,
): { readonly value: string; readonly end: number } {
  let value = '';
  for (let at = from; at < text.length; at++) {
    const char = text.charAt(at);
    if (char === quote) return { value, end: at + 1 };
    if (char === '\n' || char === '\r') break;
    if (char !== '\\') {
      value += char;
      continue;
    }
    at++;
    const after = text.charAt(at);
    const plain = Object.hasOwn(escapes, after) ? escapes[after] : undefined;
    const hex = text.slice(at + 1, at + 5);
    if (plain !== undefined) value += plain;
    else if (after === 'u' && /^[0-9a-fA-F]{4}$/.test(hex)) {
      value += String.fromCharCode(Number.parseInt(hex, 16));
      at += 4;
    } else throw new GrantText(at, 'has an unknown escape');
  }
  throw new GrantText(from - 1, 'has a text that does not end');
}
