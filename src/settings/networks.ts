/** Lists of networks and of names of hosts, and secrets that may stand in a file. */
import { readFileSync } from 'node:fs';
import { BlockList, isIP } from 'node:net';
import { type Environment, environmentReader } from './environment.ts';
import { onOneLine, type SettingReader, someText, UnusableSetting } from './grammar.ts';

/** A set of addresses. */
export interface Networks {
  /** Whether the address is one of them: IPv4 or IPv6 as text, or IPv4 written as IPv6. */
  has(address: string): boolean;
}

/** Loopback, private and link-local: RFC 1122, 1918, 3927, 4193, 4291. */
export const PRIVATE_NETWORKS =
  '127.0.0.0/8,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,169.254.0.0/16,::1,fc00::/7,fe80::/10';

/** Addresses and networks in CIDR notation, with commas or blanks between them. */
export const networks: SettingReader<Networks> = {
  takes: 'addresses and networks such as 127.0.0.1,10.0.0.0/8,fd00::/8',
  read(text) {
    const list = new BlockList();
    for (const entry of listed(text)) {
      const [, address = '', prefix] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(entry) ?? [];
      const version = isIP(address);
      const longest = version === 4 ? 32 : 128;
      const length = Number(prefix ?? longest);
      if (version === 0 || length > longest) return undefined;
      list.addSubnet(address, length, version === 4 ? 'ipv4' : 'ipv6');
    }
    return {
      has(address) {
        const plain = address.replace(/%.*$/, '');
        const version = isIP(plain);
        return version !== 0 && list.check(plain, version === 4 ? 'ipv4' : 'ipv6');
      },
    };
  },
};

/** Names of hosts, without ports, in lower case. */
export const hostNames: SettingReader<ReadonlySet<string>> = {
  takes: 'names of hosts such as pay.example,www.pay.example, without ports',
  read(text) {
    const names = listed(text.toLowerCase());
    return names.every(name => /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(name)) ? new Set(names) : undefined;
  },
};

const listed = (text: string): string[] => text.split(/[\s,]+/).filter(Boolean);

/** One that can be sent in a field of a request. */
const token = someText('a token of visible ASCII', /^[!-~]+$/);

/**
 * The token in the variable `name`, or in the file that `name`_FILE names; undefined where neither is set.
 * Throws `UnusableSetting`.
 */
export function readToken(environment: Environment, name: string): string | undefined {
  const read = environmentReader(environment);
  const given = read(name, undefined, token);
  const file = `${name}_FILE`;
  const kept = read(file, undefined, {
    takes: `a file that can be read and holds ${token.takes}`,
    read(path) {
      try {
        return token.read(readFileSync(path, 'utf8').replace(/\r?\n$/, ''));
      } catch {
        return undefined;
      }
    },
  });
  if (given !== undefined && kept !== undefined) {
    const path = onOneLine(environment[file]!);
    throw new UnusableSetting(`${file}=${path} cannot be used: ${name} is set as well; set one of them`);
  }
  return given ?? kept;
}
