/** `split(n)`: n XOR shares on n relays. All are needed, and any n − 1 of them are noise: no relay, nor all but one together, hold anything. */
import { Shares, type SharesNeeds } from './shares.ts'

export class Split extends Shares {
  constructor(needs: SharesNeeds, n: number) {
    super(needs, { kind: 'split', n })
  }
}
