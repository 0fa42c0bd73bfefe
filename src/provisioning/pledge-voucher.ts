import { base64url } from '../core/bytes.ts';
import { openDeviceIdentity } from './device-identity.ts';
import { pinOf, readOwnership, readVoucherKeys } from './device-nv.ts';
import { VoucherRefused, WrongAuthority } from './errors.ts';
import { voucherAnswerSchema } from './messages.ts';
import type { PledgeContext } from './pledge-context.ts';
import { pinnedTo, post } from './pledge-exchange.ts';
import { verifyVoucher } from './voucher.ts';

/**
 * Asks the owner's authority for the maker's voucher (RFC 8995 §5): it says whose the device is, and pins that owner.
 *
 * @throws {VoucherRefused} @throws {NotManufactured} @throws {Unreachable}
 */
export async function askForVoucher(context: PledgeContext, signal: AbortSignal | undefined): Promise<void> {
  const { tpm, platform, authority } = context.options;
  const identity = await openDeviceIdentity(tpm);
  const keys = await readVoucherKeys(tpm);
  const ownership = await readOwnership(tpm);
  const idevidIssuer = identity.idevidCertificate.authorityKeyId ?? '';
  const nonce = platform.random.bytes(32);
  let shown: readonly Uint8Array[] = [];
  // The server is nobody yet: it learns the serial number and a nonce.
  const exchange = context.exchange((chain) => {
    shown = chain;
  }, signal);
  const { voucher: jws } = await post(
    exchange,
    'voucher',
    {
      'ietf-voucher-request:voucher': {
        'serial-number': identity.serial,
        'idevid-issuer': idevidIssuer,
        nonce: base64url(nonce),
      },
    },
    voucherAnswerSchema,
  );
  const at = platform.clock.now();
  const voucher = verifyVoucher(jws, {
    keys,
    serial: identity.serial,
    idevidIssuer,
    nonce,
    ownership,
    digest: pinOf,
    at,
  });
  try {
    pinnedTo(voucher.pinnedDomainCert, authority, () => at)(shown);
  } catch (cause) {
    if (!(cause instanceof WrongAuthority)) throw cause;
    throw new VoucherRefused('pinned-server', 'the server that brought it is not the one it names', {
      cause,
    });
  }
  await context.store.move('vouched', {
    voucher: jws,
    pinned: base64url(voucher.pinnedDomainCert),
    ownership: Math.max(voucher.ownership ?? 0, ownership.sequence),
  });
}
