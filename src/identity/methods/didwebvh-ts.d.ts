// What is used of didwebvh-ts: its package has types, but not where the compiler looks for them.
declare module 'didwebvh-ts' {
  export interface Verifier {
    verify(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): Promise<boolean>
  }
  /** Rejects, or tells a failure in `meta.error`. `doc` is null for a DID that is deactivated. */
  export function resolveDIDFromLog(
    log: readonly object[],
    options: { scid: string; requestedDid: string; witnessProofs: readonly object[]; verifier: Verifier },
  ): Promise<{ did: string; doc: unknown; meta: { deactivated: boolean; error?: string } }>
  /** The bytes that an eddsa-jcs-2022 proof signs; `proof` without its value. */
  export function prepareDataForSigning(document: object, proof: object): Promise<Uint8Array>
}
