// How far each receiver of events has been told, kept beside the restrictions that it is told of.

export interface DeliveryPosition {
  /** Of the last restriction that the receiver was told of, or did not want to be. */
  readonly sequence: number;
  /** Its id, by which it is found again in a store that was put back; empty for none. */
  readonly id: string;
}

export interface DeliveryPositions {
  position(receiver: string): DeliveryPosition | undefined;
  /** For a receiver that is new: on the disk when it returns, or what came in between would never be told. */
  begin(receiver: string, position: DeliveryPosition): void;
  /** Outlives this program's end; after a loss of power the receiver may be told some once more. */
  advance(receiver: string, position: DeliveryPosition): void;
}
