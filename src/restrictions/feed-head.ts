// One value that stands for a feed up to a place: whoever has read as far and has another one was told another story.

import { hash } from 'node:crypto';

export const EMPTY_HEAD = '';

/** @returns base64url SHA-256 of the head before and the restriction */
export function nextHead(head: string, compact: string): string {
  return hash('sha256', `${head}\n${compact}`, 'base64url');
}
