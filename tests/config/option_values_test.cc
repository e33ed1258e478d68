// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "tests/config/test_policies.h"

namespace corral {
namespace {

std::string SetError(absl::string_view name, absl::string_view value) {
  OptionValues values = OptionValues::Defaults(kTestOptions);
  return std::string(values.Set(name, value).message());
}

TEST(OptionValues, DefaultsHaveTheirTypes) {
  const OptionValues values = OptionValues::Defaults(kTestOptions);
  EXPECT_EQ(values.GetDuration("tenure"), std::chrono::milliseconds(10));
  EXPECT_EQ(values.GetInt("slots"), 4);
  EXPECT_FALSE(values.GetBool("strict"));
  EXPECT_EQ(values.GetChoice("place"), "near");
}

TEST(OptionValues, TravelAsJson) {
  OptionValues values = OptionValues::Defaults(kTestOptions);
  ASSERT_TRUE(values.Set("tenure", "1500us").ok());
  ASSERT_TRUE(values.Set("slots", "8").ok());
  ASSERT_TRUE(values.Set("strict", "true").ok());
  ASSERT_TRUE(values.Set("place", "far").ok());
  const OptionValues arrived = OptionValues::FromJson(kTestOptions, values.ToJson()).value();
  EXPECT_EQ(arrived, values);
  EXPECT_EQ(arrived.GetDuration("tenure"), std::chrono::microseconds(1500));
  EXPECT_TRUE(arrived.GetBool("strict"));
}

TEST(OptionValues, ErrorsSayWhatWouldBeRight) {
  EXPECT_EQ(SetError("tenure", "0"),
            "tenure: \"0\" is not a time from 1ms to 1s; write for example 10ms");
  EXPECT_EQ(SetError("tenure", "2s"),
            "tenure: \"2s\" is not a time from 1ms to 1s; write for example 10ms");
  EXPECT_EQ(SetError("slots", "9"), "slots: \"9\" is not a whole number from 1 to 8 slots");
  EXPECT_EQ(SetError("slots", "many"), "slots: \"many\" is not a whole number from 1 to 8 slots");
  EXPECT_EQ(SetError("strict", "yes"), "strict: \"yes\" is not true or false");
  EXPECT_EQ(SetError("place", "here"), "place: \"here\" is not one of near, far");
}

TEST(OptionValues, ABoundMayStandAlone) {
  static constexpr OptionSpec kTable[] = {
      {.name = "least", .default_value = "5", .min = "5"},
      {.name = "most", .default_value = "5", .max = "5"},
      {.name = "brief", .type = OptionType::kDuration, .default_value = "1s", .max = "1s"}};
  OptionValues values = OptionValues::Defaults(kTable);
  EXPECT_TRUE(values.Set("least", "1000").ok());
  EXPECT_EQ(values.Set("least", "4").message(), "least: \"4\" is not a whole number from 5");
  EXPECT_TRUE(values.Set("most", "-1000").ok());
  EXPECT_EQ(values.Set("most", "6").message(), "most: \"6\" is not a whole number to 5");
  EXPECT_FALSE(values.Set("brief", "1001ms").ok());
}

TEST(OptionValues, DurationsOfOneNanosecondToADay) {
  EXPECT_EQ(ParseDuration("500us").value(), std::chrono::microseconds(500));
  EXPECT_EQ(ParseDuration("1.5ms").value(), std::chrono::microseconds(1500));
  EXPECT_EQ(ParseDuration("1ns").value(), Duration(1));
  for (const char* wrong : {"", "20", "-1ms", "0.1ns", "inf", "25h", "20 ms", "ms", "1m1"}) {
    EXPECT_FALSE(ParseDuration(wrong).ok()) << wrong;
  }
}

TEST(OptionValues, JsonOfAnotherShapeIsRefused) {
  const std::string deep = std::string(100000, '[') + std::string(100000, ']');
  for (const std::string& json :
       {std::string("[]"), std::string("{"), std::string("{\"slots\": 4}"),
        std::string("{\"slotz\": \"4\"}"), std::string("{\"slots\": \"9\"}"),
        std::string("\"\xff\""), deep}) {
    EXPECT_TRUE(absl::IsInvalidArgument(OptionValues::FromJson(kTestOptions, json).status()))
        << json.substr(0, 40);
  }
}

}  // namespace
}  // namespace corral
