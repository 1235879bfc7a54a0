// How many parameters a network has, and what files call them.
#include "network/network.hpp"

namespace bptt {

Index size(const Network& network) {
  Index sum = 0;
  for_each_parameter(network,
                     [&](char letter, Index, Index rows, Index columns) { sum += rows * (is_vector(letter) ? 1 : columns); });
  return sum;
}

std::vector<ParameterPlace> layout(const Network& network) {
  std::vector<ParameterPlace> places;
  for_each_parameter(network, [&](char letter, Index chain, Index rows, Index columns) {
    std::string name(1, letter);
    if (letter == 'h') name = network.leaky() ? "v0" : "h0";
    ParameterPlace place{name, name, -1, false, rows, columns, is_vector(letter)};
    if (chain >= 0) {
      place.layer = chain / network.directions();
      place.reverse = chain % network.directions() == 1;
      if (network.layers() > 1) place.name += (letter == 'h' ? "_" : "") + std::to_string(place.layer + 1);
      if (place.reverse) place.name += "_reverse";
    }
    places.push_back(std::move(place));
  });
  return places;
}

}  // namespace bptt
