// What the tests use of didwebvh-ts to write logs, beside what the resolver uses to read them.
declare module 'didwebvh-ts' {
  export interface Signer {
    sign(input: { document: object; proof: object }): Promise<{ proofValue: string }>
    getVerificationMethodId(): string
  }
  interface Written {
    did: string
    log: Entry[]
  }
  export interface Entry {
    versionId: string
    versionTime: string
    parameters: Record<string, unknown>
    state: Record<string, unknown>
    proof?: Record<string, unknown>[]
  }
  interface Common {
    signer: Signer
    verifier: Verifier
    updateKeys?: readonly string[]
    verificationMethods?: readonly object[]
    authentication?: readonly string[]
    witness?: object
    witnessProofs?: readonly object[]
    nextKeyHashes?: readonly string[]
    services?: readonly object[]
  }
  export function createDID(options: Common & { address: string; portable?: boolean; created?: string }): Promise<Written>
  export function updateDID(options: Common & { log: readonly Entry[]; address?: string; updated?: string }): Promise<Written>
  export function deactivateDID(options: Common & { log: readonly Entry[] }): Promise<Written>
  export function multibaseEncode(bytes: Uint8Array, encoding: string): string
  export function signWitnessProofEntries(
    versionIds: readonly string[],
    witnesses: readonly object[],
    signers: Readonly<Record<string, Signer>>,
  ): Promise<{ versionId: string; proof: object[] }[]>
}
