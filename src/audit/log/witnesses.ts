/** The port through which checkpoints are cosigned. Whoever talks to witnesses implements it. */
export interface Witnesses {
  /**
   * A signed checkpoint, kept but not yet shown. Resolves with the same note and the cosignatures below it, enough for
   * the witnesses' policy; rejects when they cannot be had. Called for one checkpoint at a time, of rising size.
   */
  cosign(note: string, size: number): Promise<string>
  /** Whether a checkpoint that was shown before carries enough cosignatures for the policy as it is now. */
  accepts(note: string): Promise<boolean>
}
