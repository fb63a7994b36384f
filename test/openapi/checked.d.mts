/** The judge of one document: a fetch that throws when an answer is not as described. */
export interface Checked {
  fetch: (input: Request | string | URL, init?: RequestInit) => Promise<Response>;
  counts: { answers: number; bodies: number; undescribed: number; statuses: Record<number, number>; operations: Set<string> };
}
export function checked(document: unknown, plain?: typeof globalThis.fetch): Checked;
export function operationsOf(document: unknown): string[];
