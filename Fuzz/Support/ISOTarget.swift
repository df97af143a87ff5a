internal import BlockDevice
internal import ISOFormat
internal import TestSupport

extension FuzzTarget {
    /// ISO and UDF: what is recognised is shown as it stands in the file, and never written. There are no options, and no check.
    public static let iso = FuzzTarget(name: "iso") { _, _ in
    } open: { (file, isWritable) throws(DiskError) in
        guard !isWritable else { throw DiskError(.readOnly, "an optical image", path: file.path) }
        guard try ISOImage.recognize(file) != nil else {
            throw DiskError(.notRecognized, "no descriptors", path: file.path)
        }
        return try ISOImage.layer(file)
    } check: { _ in
        CheckReport()
    } judge: { content in
        // A primary descriptor in its place is enough for any reader.
        guard content.count >= 34_816, content[32_768..<32_775] == [1] + Array("CD001".utf8) + [1] else { return nil }
        var shown = content
        if content.count % 512 != 0 { shown.resize(to: (content.count + 2047) / 2048 * 2048) }
        return shown
    } seeds: {
        let images = [
            ISOBuilder.iso9660(), .iso9660(claimedSectors: 1_000_000), .udf(), .udf(spacing: 4096, version: "NSR03"),
            .udf(firstSlot: 3),
        ]
        return images.map { FuzzInput($0.content, options: 0) }
    }
}
