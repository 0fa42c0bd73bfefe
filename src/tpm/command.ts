import type { Codec, Fields, TypeOf, ValueOf } from './codec.ts';

/** Which authorization a handle needs (Part 1 §19.2): USER, ADMIN (with policy where the object says so), or DUP. */
export type AuthRole = 'user' | 'admin' | 'dup';

/** A handle that an authorization must accompany. */
export interface AuthorizedHandle extends Codec<number> {
  readonly role: AuthRole;
}

/** Handles of a command: authorized ones come first. */
export type HandleFields = Readonly<Record<string, Codec<number>>>;

/** A command as Part 3 defines it, for the client (which asks) and for the software TPM (which answers). */
export interface Command<
  H extends HandleFields = HandleFields,
  P extends Fields = Fields,
  RH extends HandleFields = HandleFields,
  RP extends Fields = Fields,
> {
  /** As in Part 3, for example `TPM2_Quote`. */
  readonly name: string;
  /** TPM_CC, Part 2 §6.5.2. */
  readonly code: number;
  readonly handles: H;
  readonly parameters: P;
  readonly responseHandles: RH;
  readonly responseParameters: RP;
}

/** An entity in a TPM. Its Name is needed where an HMAC session protects the command (cpHash, Part 1 §16.7). */
export interface Named {
  readonly handle: number;
  readonly name: Uint8Array;
}

/** What a caller passes for a handle; a bare number where the Name is the handle itself, or already known. */
export type HandleArgument = number | Named;

/** The handle alone. */
export function handleOf(argument: HandleArgument): number {
  return typeof argument === 'number' ? argument : argument.handle;
}

/** What the client is given: handles and parameters by their names in Part 3. */
export type RequestOf<C> =
  C extends Command<infer H, infer P, HandleFields, Fields>
    ? { readonly [K in keyof H]: HandleArgument } & ValueOf<P>
    : never;

/** What the software TPM's handler is given: the same, with handles as numbers. */
export type ArgumentsOf<C> =
  C extends Command<infer H, infer P, HandleFields, Fields>
    ? { readonly [K in keyof H]: number } & ValueOf<P>
    : never;

/** What comes back. */
export type ResponseOf<C> =
  C extends Command<HandleFields, Fields, infer H, infer P>
    ? { readonly [K in keyof H]: TypeOf<H[K]> } & ValueOf<P>
    : never;

type None = Record<never, never>;

/** Declares a command. `request` and `response` list handles and parameters in the order of Part 3. */
/* @__NO_SIDE_EFFECTS__ */
export function command<
  H extends HandleFields = None,
  P extends Fields = None,
  RH extends HandleFields = None,
  RP extends Fields = None,
>(
  name: string,
  code: number,
  request: { readonly handles?: H; readonly parameters?: P },
  response: { readonly handles?: RH; readonly parameters?: RP },
): Command<H, P, RH, RP> {
  return {
    name,
    code,
    handles: request.handles ?? ({} as H),
    parameters: request.parameters ?? ({} as P),
    responseHandles: response.handles ?? ({} as RH),
    responseParameters: response.parameters ?? ({} as RP),
  };
}

/** Marks a handle that needs an authorization (`@` in the tables of Part 3). */
/* @__NO_SIDE_EFFECTS__ */
export function authorized(handle: Codec<number>, role: AuthRole = 'user'): AuthorizedHandle {
  return {
    name: handle.name,
    role,
    write: (out, value) => handle.write(out, value),
    read: (from) => handle.read(from),
  };
}

/** The roles of the handles that need authorization, in order. */
export function rolesOf(of: Command): readonly AuthRole[] {
  let roles = rolesByCommand.get(of);
  if (roles === undefined) {
    roles = Object.values(of.handles).flatMap((handle) =>
      'role' in handle ? [(handle as AuthorizedHandle).role] : [],
    );
    rolesByCommand.set(of, roles);
  }
  return roles;
}

/** Looked up with each command, and always the same. */
const rolesByCommand = /* @__PURE__ */ new WeakMap<Command, readonly AuthRole[]>();

/** Whether a session may encrypt the first parameter of the command (`decrypt` attribute, Part 1 §21.1). */
export function encryptableRequest(of: Command): boolean {
  return Object.values(of.parameters)[0]?.sized === true;
}

/** Whether a session may encrypt the first parameter of the response (`encrypt` attribute). */
export function encryptableResponse(of: Command): boolean {
  return Object.values(of.responseParameters)[0]?.sized === true;
}
