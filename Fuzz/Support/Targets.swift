extension FuzzTarget {
    /// All targets.
    public static var all: [FuzzTarget] { [vhd, vhdx, iso] }
}
