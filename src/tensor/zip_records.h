// The members of a zip archive that are stored as they are, which is how torch.save writes them: views of the archive's bytes.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace tessera {

/// Whether the bytes begin as an archive with members does.
bool is_zip(std::string_view bytes);

/// Bytes of every member by its name, zip64 included. Throws UserError for an unsound archive: no directory, fields or members that leave
/// it, names given twice, members that are compressed, encrypted or named otherwise where they lie. `source` names it.
std::map<std::string, std::string_view, std::less<>> zip_records(std::string_view bytes, std::string_view source);

}  // namespace tessera
