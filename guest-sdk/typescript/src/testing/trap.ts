//! What happens where a call breaks a rule of the contract.

/** A call broke a rule of the contract: on the host it does not return, and the event fails with this kind. */
export class Trap extends Error {
  override name = "Trap";

  constructor(
    readonly kind: "invalid-call" | "memory-limit",
    message: string,
  ) {
    super(message);
  }
}
