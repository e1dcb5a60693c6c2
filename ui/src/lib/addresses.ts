/** Addresses as they may be shown: what is before the host or behind the path may be a secret. */

/** Without user, query and fragment. */
export function addressText(address: string): string {
  try {
    const { protocol, host, pathname } = new URL(address);
    return `${protocol}//${host}${pathname === '/' ? '' : pathname}`;
  } catch {
    return address;
  }
}

/** A text with addresses in it, such as an error, with each of them cut as above. */
export function withoutSecrets(text: string): string {
  return text.replace(/\bhttps?:\/\/[^\s"'<>]+/g, (found) => {
    // What ends a clause is not of the address.
    const end = /[:;,.)]+$/.exec(found)?.[0] ?? '';
    return addressText(found.slice(0, found.length - end.length)) + end;
  });
}
