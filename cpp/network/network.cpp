// How many parameters a network has, and what files call them.
#include "network/network.hpp"

namespace bptt {

Index size(const Network& network) {
  Index sum = 0;
  for_each_parameter(network, [&](char letter, Index, Index rows, Index columns) {
    sum += rows * (letter == 'b' || letter == 'c' ? 1 : columns);
  });
  return sum;
}

std::vector<ParameterPlace> layout(const Network& network) {
  std::vector<ParameterPlace> places;
  for_each_parameter(network, [&](char letter, Index chain, Index rows, Index columns) {
    ParameterPlace place{std::string(1, letter), letter, -1, false, rows, columns};
    if (chain >= 0) {
      place.layer = chain / network.directions();
      place.reverse = chain % network.directions() == 1;
      if (network.layers() > 1) place.name += std::to_string(place.layer + 1);
      if (place.reverse) place.name += "_reverse";
    }
    places.push_back(std::move(place));
  });
  return places;
}

}  // namespace bptt
